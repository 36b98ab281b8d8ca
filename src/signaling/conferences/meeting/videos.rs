//! What the client of a session is sent of the videos that it gets and of those that it sends, as it is now. Pure.

use std::sync::Arc;

use super::PICTURES_MAX;
use super::connections::CallKind;
use super::uuids::participant_uuid;
use super::wire::Notice;
use crate::domain::{LayersWanted, UserFeed};
use crate::ids::{Feed, RoomName};
use crate::signaling::wants::VideoQuality;
use crate::video::Quality;

/// Videos that somebody gets: those in the slots of a connection with a screen, and those that were in them a moment ago. Of more
/// than these the one that has changed first is forgotten.
const VIDEOS_MAX: usize = 2 * (PICTURES_MAX as usize + 1);

#[derive(Default)]
pub(super) struct Videos {
    /// What comes of each, in the order of the changes.
    come: Vec<(UserFeed, Quality)>,
    /// Encodings that are wanted of each own feed.
    wanted: Vec<Arc<LayersWanted>>,
}

impl Videos {
    /// Notes what comes of a video. Returns what the client is sent of it.
    pub fn quality_changed(&mut self, room: &RoomName, feed: UserFeed, quality: Quality) -> Notice {
        self.forget(|one| *one == feed);
        if self.come.len() >= VIDEOS_MAX {
            self.come.remove(0);
        }
        let notice = of(room, &feed, quality);
        self.come.push((feed, quality));
        notice
    }

    /// Notes which encodings are wanted. Returns what the client is sent of it.
    pub fn layers_wanted(&mut self, wanted: Arc<LayersWanted>) -> Notice {
        self.wanted.retain(|one| one.feed != wanted.feed);
        self.wanted.push(Arc::clone(&wanted));
        Notice::SendLayers(wanted)
    }

    /// Forgets the videos that no longer come.
    pub fn forget(&mut self, is_over: impl Fn(&UserFeed) -> bool) {
        self.come.retain(|(feed, _)| !is_over(feed));
    }

    /// A connection has ended, or another one has taken its place: nothing comes by it yet, and nothing is wanted of it. A client
    /// is sent neither before it has the answer to its offer.
    pub fn forget_connection(&mut self, kind: CallKind) {
        let sent = match kind {
            CallKind::Main => Some(Feed::Camera),
            CallKind::SendScreen => Some(Feed::Screen),
            CallKind::ReceiveScreen => None,
        };
        self.wanted.retain(|one| Some(one.feed) != sent);
        match kind {
            CallKind::Main => self.come.clear(),
            CallKind::ReceiveScreen => self.forget(|one| one.feed == Feed::Screen),
            CallKind::SendScreen => {}
        }
    }

    /// All that whoever begins to read is sent.
    pub fn state(&self, room: &RoomName) -> impl Iterator<Item = Notice> {
        let come = self.come.iter().map(|(feed, quality)| of(room, feed, *quality));
        come.chain(self.wanted.iter().map(Arc::clone).map(Notice::SendLayers))
    }
}

fn of(room: &RoomName, video: &UserFeed, quality: Quality) -> Notice {
    let sender = participant_uuid(room, &video.user);
    Notice::VideoQuality(VideoQuality::new(sender, video.feed, quality))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::{Cause, State};

    const ROOM: &str = "m";

    fn video(user: &str, feed: Feed) -> UserFeed {
        UserFeed {
            user: user.into(),
            feed,
        }
    }

    fn quality(height: u16) -> Quality {
        Quality {
            state: State::Reduced(Cause::Bandwidth),
            height: Some(height),
            wanted: Some(720),
        }
    }

    fn wanted(feed: Feed, layers: &[(&str, bool)]) -> Arc<LayersWanted> {
        let layers = layers.iter().map(|(rid, is_wanted)| ((*rid).to_owned(), *is_wanted));
        Arc::new(LayersWanted {
            feed,
            layers: layers.collect(),
            max_bits_per_second: None,
        })
    }

    impl Videos {
        fn comes(&mut self, user: &str, feed: Feed, height: u16) -> Notice {
            self.quality_changed(&ROOM.into(), video(user, feed), quality(height))
        }

        /// Each event with its data, as they are on the wire.
        fn written(&self) -> Vec<String> {
            self.state(&ROOM.into()).map(|notice| written(&notice)).collect()
        }
    }

    fn written(notice: &Notice) -> String {
        format!("{} {}", notice.kind(), serde_json::to_string(notice).unwrap())
    }

    fn reduced(user: &str, feed: &str, height: u16) -> String {
        let sender = participant_uuid(&ROOM.into(), &user.into());
        format!(
            r#"video_quality {{"sender":"{sender}",{feed}"height":{height},"wanted":720,"state":"reduced","reason":"bandwidth"}}"#
        )
    }

    #[test]
    fn the_newest_of_each_video_is_the_state_and_events_are_written_in_the_words_of_other_families() {
        let mut videos = Videos::default();
        let first = videos.comes("ben", Feed::Camera, 360);
        assert_eq!(written(&first), reduced("ben", "", 360));
        videos.comes("ben", Feed::Screen, 540);
        videos.comes("ben", Feed::Camera, 180);
        let order = videos.layers_wanted(wanted(Feed::Camera, &[("f", false), ("q", true)]));
        assert_eq!(written(&order), r#"send_layers {"layers":{"f":false,"q":true}}"#);
        videos.layers_wanted(Arc::new(LayersWanted {
            max_bits_per_second: Some(300_000),
            ..LayersWanted::clone(&wanted(Feed::Screen, &[("", true)]))
        }));
        videos.layers_wanted(wanted(Feed::Camera, &[("f", true), ("q", true)]));
        let expected = [
            reduced("ben", r#""feed":"screen","#, 540),
            reduced("ben", "", 180),
            r#"send_layers {"feed":"screen","layers":{"":true},"maxBitrate":300000}"#.to_owned(),
            r#"send_layers {"layers":{"f":true,"q":true}}"#.to_owned(),
        ];
        assert_eq!(videos.written(), expected);
    }

    #[test]
    fn what_a_connection_brought_ends_with_it() {
        let all = || {
            let mut videos = Videos::default();
            videos.comes("ben", Feed::Camera, 360);
            videos.comes("ben", Feed::Screen, 540);
            videos.layers_wanted(wanted(Feed::Camera, &[("q", false)]));
            videos.layers_wanted(wanted(Feed::Screen, &[("", false)]));
            videos
        };
        let camera_order = r#"send_layers {"layers":{"q":false}}"#.to_owned();
        let screen_order = r#"send_layers {"feed":"screen","layers":{"":false}}"#.to_owned();
        let (ben, screen) = (reduced("ben", "", 360), reduced("ben", r#""feed":"screen","#, 540));
        let after = |change: &dyn Fn(&mut Videos)| {
            let mut videos = all();
            change(&mut videos);
            videos.written()
        };
        assert_eq!(
            after(&|all| all.forget_connection(CallKind::Main)),
            std::slice::from_ref(&screen_order)
        );
        let expected = [ben.clone(), camera_order.clone(), screen_order];
        assert_eq!(after(&|all| all.forget_connection(CallKind::ReceiveScreen)), expected);
        let expected = [ben, screen, camera_order];
        assert_eq!(after(&|all| all.forget_connection(CallKind::SendScreen)), expected);
    }

    #[test]
    fn the_videos_that_are_known_are_bounded() {
        let mut videos = Videos::default();
        for number in 0..10 * VIDEOS_MAX {
            videos.comes(&number.to_string(), Feed::Camera, 180);
        }
        let known = videos.written();
        assert_eq!(known.len(), VIDEOS_MAX);
        let newest = (10 * VIDEOS_MAX - 1).to_string();
        assert_eq!(known.last(), Some(&reduced(&newest, "", 180)));
    }
}
