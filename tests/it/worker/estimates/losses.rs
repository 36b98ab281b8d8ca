//! Viewers whose feedback tells of lost packets: what they miss comes twice, and they hold pictures back until it comes.

use patchbay::media::rtp::Extension;

use super::*;

/// The id under which viewers read how long to hold pictures back, and that under which the publisher says so.
const PLAYOUT: u8 = 7;

/// A viewer that gets pictures, and loses one packet in so many.
struct Viewer {
    stage: Stage,
    viewer: usize,
    newest: Vec<u8>,
}

impl Viewer {
    fn new(reads_playout: bool, loses_one_in: Option<usize>) -> Viewer {
        let mut stage = Stage::new(0);
        let mut section = numbered(video(false, 0x2_0000));
        if reads_playout {
            section.extensions.push((PLAYOUT, Extension::PlayoutDelay));
        }
        let viewer = stage.join_with(vec![section]);
        let (mut sent, mut newest) = (0, Vec::new());
        for turn in 0..100_u32 {
            let first = number(&stage.publish(turn == 0, 60)[viewer][0]).unwrap();
            let rest = (0..9).map(|_| stage.publish(false, 60)[viewer].remove(0));
            newest = rest.last().unwrap();
            let came: Vec<bool> = (sent..sent + 10)
                .map(|at| loses_one_in.is_none_or(|one_in| at % one_in != one_in - 1))
                .collect();
            sent += 10;
            stage.pass(Duration::from_millis(40));
            stage.tell(viewer, &feedback(first, &came, 1_000 + turn * 40));
        }
        Viewer { stage, viewer, newest }
    }

    /// The value of the extension in the newest packet.
    fn held_back(&self) -> Option<Vec<u8>> {
        let header = Header::parse(&self.newest).unwrap();
        let found = header.elements(&self.newest).find(|(id, _)| *id == PLAYOUT);
        found.map(|(_, value)| value.to_vec())
    }

    /// The packets that come when the viewer asks for the newest again.
    fn resent(&mut self) -> Vec<Vec<u8>> {
        let sequence = Header::parse(&self.newest).unwrap().sequence;
        self.stage.nack(self.viewer, &[sequence])
    }
}

#[test]
fn what_a_viewer_misses_on_a_lossy_path_comes_twice() {
    let resent = Viewer::new(true, Some(10)).resent();
    assert_eq!(resent.len(), 2);
    let [first, second] = [0, 1].map(|at| Header::parse(&resent[at]).unwrap());
    assert_eq!(first.sequence.wrapping_add(1), second.sequence);
    assert_eq!(resent[0][first.len..], resent[1][second.len..]);
    assert_eq!(Viewer::new(true, Some(50)).resent().len(), 1);
    assert_eq!(Viewer::new(true, None).resent().len(), 1);
}

#[test]
fn a_viewer_on_a_lossy_path_holds_pictures_back_for_some_round_trips() {
    let viewer = Viewer::new(true, Some(10));
    // 150 ms: a round trip of 40 ms. The upper bound is ten seconds.
    assert_eq!(viewer.held_back(), Some(vec![0x01, 0x23, 0xe8]));
    assert_eq!(Viewer::new(true, None).held_back(), None);
    assert_eq!(Viewer::new(false, Some(10)).held_back(), None);
}
