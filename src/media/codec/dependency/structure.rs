//! The dependency structure: what a stream's frames are like. It comes with key frames.

use super::super::mark::{Layers, SPATIAL_LAYERS};
use super::bits::BitReader;

/// Decode targets of a stream, as the format bounds them.
pub const TARGETS: usize = 32;
/// Templates, as the format bounds them.
const TEMPLATES: usize = 64;
/// Chains. Encoders have one for each spatial layer.
pub(super) const CHAINS: usize = 8;
/// Frames on which one depends directly. A frame of AV1 refers to seven at most, one of VP9 to three.
pub(super) const DEPENDENCIES: usize = 8;
/// Spatial layers, and temporal ones: VP9 can say eight, AV1 four and eight.
const LAYERS: u8 = 8;

/// What a frame is to each decode target: the decode target indications (DTI), two bits for each. Each mask has a bit for each
/// target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Indications {
    high: u32,
    low: u32,
}

impl Indications {
    pub(super) fn read(bits: &mut BitReader<'_>, targets: u8) -> Option<Indications> {
        let mut indications = Indications::default();
        for target in 0..targets {
            indications.high |= bits.number(1)? << target;
            indications.low |= bits.number(1)? << target;
        }
        Some(indications)
    }

    /// Targets that have the frame.
    pub fn present(self) -> u32 {
        self.high | self.low
    }

    /// Targets which can be begun at the frame, if that can be decoded: all their later frames can be, too.
    pub fn switches(self) -> u32 {
        self.high & !self.low
    }

    /// Targets of which later frames may depend on this one.
    pub fn needed(self) -> u32 {
        self.high
    }
}

/// The frames on which one depends directly, each as the distance back to its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Dependencies {
    count: u8,
    distances: [u16; DEPENDENCIES],
}

impl Dependencies {
    /// Reads those of a template.
    fn read_few_bits(bits: &mut BitReader<'_>) -> Option<Dependencies> {
        let mut dependencies = Dependencies::default();
        while bits.flag()? {
            dependencies.add(bits.number(4)?)?;
        }
        Some(dependencies)
    }

    /// Reads those of a frame, which says itself what it depends on.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Option<Dependencies> {
        let mut dependencies = Dependencies::default();
        loop {
            match bits.number(2)? {
                0 => return Some(dependencies),
                size => dependencies.add(bits.number(4 * size)?)?,
            }
        }
    }

    /// Adds a distance, of which the descriptor has one less.
    fn add(&mut self, less_one: u32) -> Option<()> {
        *self.distances.get_mut(usize::from(self.count))? = less_one as u16 + 1;
        self.count += 1;
        Some(())
    }

    pub(super) fn distances(&self) -> &[u16] {
        self.distances.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// What many frames have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Template {
    pub(super) layers: Layers,
    pub(super) indications: Indications,
    pub(super) dependencies: Dependencies,
    /// The distance back to the newest earlier frame of each chain; 0 if the chain needs none.
    pub(super) chain_distances: [u8; CHAINS],
}

/// The dependency structure of a stream.
///
/// A *decode target* is a part of the stream that can be decoded alone: all up to some spatial and temporal layer. A *chain* has the
/// frames without which the targets that it protects cannot go on. Which layers a target has follows from its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The id of the first template.
    first_id: u8,
    template_count: u8,
    pub(super) target_count: u8,
    pub(super) chain_count: u8,
    templates: [Template; TEMPLATES],
    /// The highest layers of each target.
    targets: [Layers; TARGETS],
    /// Targets, the best first: the highest spatial layer, in it the highest temporal one.
    best_first: [u8; TARGETS],
    /// Targets that each chain protects, as bits.
    pub(super) protected: [u32; CHAINS],
    /// Targets of which neither layer is higher than one target's, as bits.
    not_above: [u32; TARGETS],
    /// Targets of the same size, as bits, that can be begun without a key frame by whoever gets one target: some of its frames open them.
    opened_within: [u32; TARGETS],
    /// Targets whose highest spatial layer is one layer, as bits.
    highest_in: [u32; LAYERS as usize],
    /// The heights of the frames of each spatial layer, if it tells. Larger layers than are told apart have none.
    pub heights: Option<[Option<u16>; SPATIAL_LAYERS]>,
}

impl Structure {
    /// Reads a structure. `None` if the bytes end within it, or if it has more chains, dependencies or layers than encoders use.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Option<Structure> {
        let mut structure = Structure {
            first_id: bits.number(6)? as u8,
            template_count: 0,
            target_count: bits.number(5)? as u8 + 1,
            chain_count: 0,
            templates: [Template::default(); TEMPLATES],
            targets: [Layers::default(); TARGETS],
            best_first: [0; TARGETS],
            protected: [0; CHAINS],
            not_above: [0; TARGETS],
            opened_within: [0; TARGETS],
            highest_in: [0; LAYERS as usize],
            heights: None,
        };
        let highest = structure.read_layers(bits)?;
        let targets = structure.target_count;
        for template in structure.used_mut() {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in structure.used_mut() {
            template.dependencies = Dependencies::read_few_bits(bits)?;
        }
        structure.read_chains(bits)?;
        if bits.flag()? {
            let mut heights = [None; SPATIAL_LAYERS];
            for spatial in 0..=usize::from(highest) {
                // Width and height, of which one less is said: 65,536 is taken for 65,535.
                let height = (bits.number(32)? as u16).saturating_add(1);
                if let Some(place) = heights.get_mut(spatial) {
                    *place = Some(height);
                }
            }
            structure.heights = Some(heights);
        }
        structure.conclude();
        Some(structure)
    }

    fn used(&self) -> &[Template] {
        self.templates
            .get(..usize::from(self.template_count))
            .unwrap_or_default()
    }

    fn used_mut(&mut self) -> &mut [Template] {
        self.templates
            .get_mut(..usize::from(self.template_count))
            .unwrap_or_default()
    }

    /// Reads how many templates there are, and their layers. Returns the highest spatial one.
    fn read_layers(&mut self, bits: &mut BitReader<'_>) -> Option<u8> {
        let mut layers = Layers::default();
        loop {
            self.templates.get_mut(usize::from(self.template_count))?.layers = layers;
            self.template_count += 1;
            match bits.number(2)? {
                0 => {}
                1 => layers.temporal += 1,
                2 => {
                    layers = Layers {
                        spatial: layers.spatial + 1,
                        temporal: 0,
                    }
                }
                _ => return Some(layers.spatial),
            }
            if layers.spatial >= LAYERS || layers.temporal >= LAYERS {
                return None;
            }
        }
    }

    fn read_chains(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let count = bits.below(u32::from(self.target_count) + 1)?;
        if count == 0 {
            return Some(());
        }
        for target in 0..self.target_count {
            let chain = bits.below(count)?;
            *self.protected.get_mut(chain as usize)? |= 1 << target;
        }
        self.chain_count = count as u8;
        for template in self.used_mut() {
            for distance in template.chain_distances.get_mut(..count as usize)? {
                *distance = bits.number(4)? as u8;
            }
        }
        Some(())
    }

    /// Works out what follows from the templates.
    fn conclude(&mut self) {
        for template in self.templates.iter().take(usize::from(self.template_count)) {
            let present = template.indications.present();
            let depends = template.dependencies != Dependencies::default();
            for target in 0..self.target_count {
                let at = usize::from(target);
                if depends && present >> target & 1 == 1 {
                    self.opened_within[at] |= template.indications.switches();
                }
                if present >> target & 1 == 1 {
                    self.targets[at].spatial = self.targets[at].spatial.max(template.layers.spatial);
                    self.targets[at].temporal = self.targets[at].temporal.max(template.layers.temporal);
                }
            }
        }
        let targets = self.targets;
        for target in 0..self.target_count {
            let at = usize::from(target);
            self.best_first[at] = target;
            self.highest_in[usize::from(targets[at].spatial)] |= 1 << target;
            for other in 0..self.target_count {
                if targets[usize::from(other)].is_within(targets[at]) {
                    self.not_above[at] |= 1 << other;
                }
                if targets[usize::from(other)].spatial != targets[at].spatial {
                    // Its first frame depends on another of the same key picture.
                    self.opened_within[at] &= !(1 << other);
                }
            }
        }
        self.best_first[..usize::from(self.target_count)].sort_unstable_by_key(|&target| {
            let layers = targets[usize::from(target)];
            std::cmp::Reverse((layers.spatial, layers.temporal, target))
        });
    }

    /// All targets, as bits.
    pub(super) fn every_target(&self) -> u32 {
        u32::MAX >> (TARGETS as u32 - u32::from(self.target_count))
    }

    /// The template with this id, if it belongs to this structure.
    pub(super) fn template(&self, id: u8) -> Option<&Template> {
        self.used().get(usize::from(id.wrapping_sub(self.first_id) % 64))
    }

    /// The decode targets: their numbers, and the highest layers of each, the best first.
    pub fn targets(&self) -> impl DoubleEndedIterator<Item = (u8, Layers)> {
        let used = self.best_first.get(..usize::from(self.target_count));
        let used = used.unwrap_or_default().iter();
        used.map(|&target| (target, self.layers(target)))
    }

    /// The highest layers of a target.
    pub fn layers(&self, target: u8) -> Layers {
        self.targets.get(usize::from(target)).copied().unwrap_or_default()
    }

    /// The best of these targets within `limit`; the lowest of them if none is.
    pub(super) fn best(&self, among: u32, limit: Layers) -> Option<u8> {
        let allowed = || self.targets().filter(|(target, _)| among >> target & 1 == 1);
        let best = allowed().find(|(_, layers)| layers.is_within(limit));
        best.or_else(|| allowed().next_back()).map(|(target, _)| target)
    }

    /// Targets, as bits, whose highest spatial layer is this one.
    pub(super) fn highest_in(&self, spatial: u8) -> u32 {
        self.highest_in.get(usize::from(spatial)).copied().unwrap_or(0)
    }

    /// Targets of the same size, as bits, that can be begun without a key frame by whoever gets this one.
    pub(super) fn opened_within(&self, target: u8) -> u32 {
        self.opened_within.get(usize::from(target)).copied().unwrap_or(0)
    }

    /// Targets, as bits, of which neither layer is higher than this one's.
    pub(super) fn not_above(&self, target: u8) -> u32 {
        self.not_above.get(usize::from(target)).copied().unwrap_or(0)
    }
}
