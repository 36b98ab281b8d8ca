//! Sums: the counts of one connection added to those of all.

use std::collections::HashMap;

use super::client::Client;
use super::error::LoadError;
use super::figures::{Delivery, Totals};
use super::source::Source;
use super::watching::Watching;
use crate::media::codec::Kind;

impl Totals {
    /// Adds the counts of one connection. `publishers` has the sources of each publisher.
    pub(crate) fn take_in(&mut self, client: &mut Client, sources: &[Source], publishers: &HashMap<usize, Vec<u32>>) {
        for reception in &client.receptions {
            let counts = reception.counts;
            self.delivered += counts.delivered;
            self.reordered += counts.reordered;
            self.duplicates += counts.duplicates;
            self.corrupt += counts.corrupt;
            self.compared += counts.compared;
            self.deliveries.push(Delivery {
                packets: counts.delivered,
                bytes: counts.bytes,
            });
        }
        self.profile = client.profile().or(self.profile);
        if let Some(watching) = client.watching.take() {
            self.take_in_watched(client, &watching, sources, publishers);
        }
        let all = client.watches.iter().filter_map(|publisher| publishers.get(publisher));
        for &source in all.flatten() {
            self.take_in_losses(client, &sources[source as usize]);
        }
    }

    fn take_in_watched(
        &mut self,
        client: &Client,
        watching: &Watching,
        sources: &[Source],
        publishers: &HashMap<usize, Vec<u32>>,
    ) {
        let is_video = |id: &u32| sources[*id as usize].encoding.kind == Kind::Video;
        let sends_video = |publisher: &&usize| publishers.get(publisher).is_some_and(|ids| ids.iter().any(is_video));
        let expected = match client.came_late() {
            true => 0,
            false => client.watches.iter().filter(sends_video).count(),
        };
        self.watched.add(watching.counts());
        self.freezes.extend(watching.freezes(expected));
    }

    fn take_in_losses(&mut self, client: &Client, source: &Source) {
        let of = |id: u32| {
            client
                .receptions
                .iter()
                .find(move |reception| reception.source() == Some(id))
        };
        let received = of(source.id);
        let complete = self
            .sent_after
            .as_ref()
            .filter(|_| !source.is_layer() && !source.may_be_left_out() && !client.came_late());
        match (received, complete) {
            (Some(reception), None) => self.lost += reception.counts.gaps,
            (received, Some(after)) => {
                let since = client.since.get(source.id as usize).copied().unwrap_or(0);
                let sent = after[source.id as usize].saturating_sub(since);
                let delivered = received.map_or(0, |reception| reception.counts.delivered);
                self.lost += sent.saturating_sub(delivered);
                if delivered == 0 && sent > 0 {
                    self.deliveries.push(Delivery { packets: 0, bytes: 0 });
                    self.failed(LoadError::NothingOf {
                        who: client.participant,
                    });
                }
            }
            // This is a layer that was not chosen, somebody who was silent, or a visit that was too short.
            (None, None) => {}
        }
    }
}
