//! An offer as a whole: its session, its sections, its groups.

use std::collections::{HashMap, HashSet};

use rtc_sdp::SessionDescription;

use super::direction::Direction;
use super::level::{Credentials, TransportLines};
use super::section::{ALLOW_MIXED, Section, SectionPlace, SessionValues, mid};
use super::text::{has, values};

#[derive(Clone, PartialEq, Eq)]
pub(in crate::media) struct Offered {
    pub(crate) is_lite: bool,
    /// The session's lines about transports.
    pub session: TransportLines,
    pub sections: Box<[Section]>,
    /// BUNDLE groups (RFC 9143 §7) as indices of sections, in the order of the group. A section is in one group at most.
    pub(crate) groups: Box<[Box<[usize]>]>,
    /// Whether the session says that header extensions of both forms may come.
    pub(crate) allows_mixed: bool,
}

impl Offered {
    pub(super) fn read(description: &SessionDescription) -> Offered {
        let attributes = &description.attributes;
        let mids: Vec<Option<&str>> = description.media_descriptions.iter().map(mid).collect();
        let groups = bundle_groups(description, &mids);
        let session_values = SessionValues {
            attributes,
            direction: Direction::read(attributes),
            allows_mixed: has(attributes, ALLOW_MIXED),
        };
        let mut taken = HashSet::new();
        let sections = description.media_descriptions.iter().enumerate();
        let sections = sections.map(|(index, media)| {
            let place = SectionPlace {
                index,
                in_group: groups.iter().any(|group| group.contains(&index)),
                is_mid_taken: mids[index].is_some_and(|mid| !taken.insert(mid)),
            };
            Section::read(media, &session_values, &place)
        });
        Offered {
            is_lite: has(attributes, "ice-lite"),
            session: TransportLines::read(attributes),
            sections: sections.collect(),
            groups,
            allows_mixed: session_values.allows_mixed,
        }
    }

    pub(crate) fn group_of(&self, section: usize) -> Option<&[usize]> {
        let mut groups = self.groups.iter();
        groups.find(|group| group.contains(&section)).map(|group| &**group)
    }

    /// The lines about transports, of the session and of each section.
    fn levels(&self) -> impl Iterator<Item = &TransportLines> {
        [&self.session]
            .into_iter()
            .chain(self.sections.iter().map(|section| &section.level))
    }

    /// The ICE users of the client, one for each transport.
    pub(super) fn ufrags(&self) -> HashSet<&str> {
        let credentials = self.levels().filter_map(|level| level.credentials.as_ref());
        credentials.map(|one| &*one.ufrag).collect()
    }

    /// The same offer with these ICE credentials wherever it has any.
    pub(super) fn with_credentials(&self, credentials: &Credentials) -> Offered {
        let mut offered = self.clone();
        let sections = offered.sections.iter_mut().map(|section| &mut section.level);
        let levels = [&mut offered.session].into_iter().chain(sections);
        for level in levels.filter(|level| level.credentials.is_some()) {
            level.credentials = Some(credentials.clone());
        }
        offered
    }

    pub(super) fn bytes(&self) -> usize {
        let sections = self.sections.iter().map(Section::bytes).sum::<usize>();
        let groups = self
            .groups
            .iter()
            .map(|group| size_of_val(group) + size_of_val(&**group));
        size_of::<Offered>() + self.session.bytes() + sections + groups.sum::<usize>()
    }
}

/// The BUNDLE groups. A section whose mid an earlier section has is in no group.
fn bundle_groups(description: &SessionDescription, mids: &[Option<&str>]) -> Box<[Box<[usize]>]> {
    let mut by_mid = HashMap::new();
    for (index, mid) in mids.iter().enumerate() {
        if let Some(mid) = mid {
            by_mid.entry(*mid).or_insert(index);
        }
    }
    let bundles = values(&description.attributes, "group").filter_map(|group| {
        let (semantics, mids) = group.split_once(' ')?;
        (semantics == "BUNDLE").then_some(mids)
    });
    // Each mid is used once, so all groups together are no longer than the list of sections.
    let groups = bundles.map(|mids| {
        mids.split(' ')
            .filter_map(|mid| by_mid.remove(mid))
            .collect::<Box<[usize]>>()
    });
    groups.filter(|group| !group.is_empty()).collect()
}
