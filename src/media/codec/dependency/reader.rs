//! Reads descriptors, with what they have taken from earlier ones.

use super::super::mark::Layers;
use super::bits::BitReader;
use super::history;
use super::structure::{CHAINS, Dependencies, Indications, Structure, Template};

/// Bytes of a descriptor that says nothing but frame number, template and position in the frame.
const SHORT: usize = 3;
/// Bytes of the longest header extension.
pub const DESCRIPTOR_BYTES: usize = 255;

/// What a packet's descriptor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The frame's number. Frames are numbered in the order in which they are decoded, across layers.
    pub number: u16,
    pub layers: Layers,
    pub is_first_packet: bool,
    pub is_last_packet: bool,
    /// Whether this packet brings a structure. It does so if it is the first one of a key frame, and only then. A frame that depends on
    /// none is no key frame by that alone: later ones may go on with what was before it.
    pub has_structure: bool,
    /// What the frame is to each decode target.
    pub indications: Indications,
    /// Decode targets, as bits, that the sender makes at present.
    pub active: u32,
    pub(super) dependencies: Dependencies,
    pub(super) chain_distances: [u8; CHAINS],
    /// A number for the structure: another one means other templates and targets.
    pub(super) revision: u16,
    pub(super) layout: Layout,
}

impl Frame {
    /// The distances back to the frames on which this one depends directly.
    pub fn dependencies(&self) -> &[u16] {
        self.dependencies.distances()
    }
}

/// Positions of bits in a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The place of the mask of active targets, and what comes after the mask if there is one.
    pub(super) mask: u16,
    pub(super) after_mask: u16,
    /// The first bit of the padding.
    pub(super) end: u16,
    /// Bits of a mask.
    pub(super) targets: u8,
}

/// Why a descriptor was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Its structure is not known: the packet that brings it has not come (yet).
    UnknownStructure,
    /// It goes with an older structure than the newest: nobody can read it any more.
    OldStructure,
    /// It is cut, or larger than encoders make one, or goes with a structure of which that is true.
    Malformed,
}

/// What a stream's descriptors refer to: the newest structure, and the targets that are active.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Allocated with the first structure, and overwritten by the later ones.
    structure: Option<Box<Structure>>,
    revision: u16,
    /// The number of the newest frame with the structure, and of the first one.
    structure_frame: u16,
    structure_since: u16,
    /// Whether the newest structure could not be read: then nothing can, before another one comes.
    has_unreadable_structure: bool,
    /// Active targets, as bits, and the number of the frame that told them.
    active: u32,
    active_frame: u16,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    has_structure: bool,
    has_mask: bool,
    has_indications: bool,
    has_dependencies: bool,
    has_chains: bool,
}

impl Flags {
    fn read(bits: &mut BitReader<'_>) -> Option<Flags> {
        Some(Flags {
            has_structure: bits.flag()?,
            has_mask: bits.flag()?,
            has_indications: bits.flag()?,
            has_dependencies: bits.flag()?,
            has_chains: bits.flag()?,
        })
    }
}

impl Stream {
    /// The newest structure: none before the first key frame.
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_deref()
    }

    /// Forgets the structure: the stream goes on without descriptors.
    pub fn end(&mut self) {
        self.structure = None;
    }

    /// The structure with which a frame goes, if it is the newest.
    pub fn structure_of(&self, frame: &Frame) -> Option<&Structure> {
        self.structure().filter(|_| frame.revision == self.revision)
    }

    /// Reads the descriptor of a packet. `is_late` says whether newer packets of the stream have come before it.
    pub fn read(&mut self, descriptor: &[u8], is_late: bool) -> Result<Frame, Unreadable> {
        if descriptor.len() > DESCRIPTOR_BYTES {
            return Err(Unreadable::Malformed);
        }
        let mut bits = BitReader::new(descriptor);
        let (head, flags) = read_head(&mut bits, descriptor.len()).ok_or(Unreadable::Malformed)?;
        if !flags.has_structure {
            let frame = match self.read_by_structure(&mut bits, head, flags) {
                // The stream counts anew, and the key frame with which it began has not come.
                Err(Unreadable::OldStructure) if !is_late => return Err(Unreadable::UnknownStructure),
                read => read?,
            };
            return Ok(self.know(frame, flags));
        }
        if head.is_first_packet && !is_late {
            self.begin_anew_before(head.number);
        }
        let Some(structure) = Structure::read(&mut bits) else {
            if !history::is_late(head.number, self.structure_since) {
                (self.structure, self.has_unreadable_structure) = (None, true);
                self.structure_since = head.number;
            }
            return Err(Unreadable::Malformed);
        };
        let template = structure.template(head.template).ok_or(Unreadable::Malformed)?;
        let frame = read_frame(&mut bits, head, flags, (&structure, template)).ok_or(Unreadable::Malformed)?;
        self.has_unreadable_structure = false;
        self.renew(structure, frame.number)?;
        Ok(self.know(frame, flags))
    }

    /// Reads the descriptor of a packet that has come before, and was kept.
    pub fn read_again(&self, descriptor: &[u8]) -> Result<Frame, Unreadable> {
        let mut bits = BitReader::new(descriptor);
        let (head, flags) = read_head(&mut bits, descriptor.len()).ok_or(Unreadable::Malformed)?;
        if flags.has_structure {
            let structure = Structure::read(&mut bits).ok_or(Unreadable::Malformed)?;
            if self.structure() != Some(&structure) {
                return Err(Unreadable::OldStructure);
            }
        }
        let frame = self.read_by_structure(&mut bits, head, flags)?;
        let told = flags.has_structure || flags.has_mask;
        Ok(Frame {
            active: if told { frame.active } else { self.active },
            revision: self.revision,
            ..frame
        })
    }

    /// Reads what follows the structure, or the flags, of a descriptor by the structure that is known.
    fn read_by_structure(&self, bits: &mut BitReader<'_>, head: Head, flags: Flags) -> Result<Frame, Unreadable> {
        let unknown = match self.has_unreadable_structure {
            true => Unreadable::Malformed,
            false => Unreadable::UnknownStructure,
        };
        let has_structure = self.structure.is_some() || self.has_unreadable_structure;
        if has_structure && !flags.has_structure && history::is_late(head.number, self.structure_since) {
            // Another structure may have the same ids.
            return Err(Unreadable::OldStructure);
        }
        let structure = self.structure().ok_or(unknown)?;
        let template = structure.template(head.template).ok_or(unknown)?;
        read_frame(bits, head, flags, (structure, template)).ok_or(Unreadable::Malformed)
    }

    /// Takes over the structure of a frame, unless there is a newer one.
    fn renew(&mut self, structure: Structure, number: u16) -> Result<(), Unreadable> {
        let is_newer = !history::is_late(number, self.structure_frame);
        match &mut self.structure {
            Some(known) if **known == structure => {}
            Some(_) if !is_newer => return Err(Unreadable::OldStructure),
            known => {
                match known {
                    Some(known) => **known = structure,
                    None => *known = Some(Box::new(structure)),
                }
                self.revision = self.revision.wrapping_add(1);
                self.structure_since = number;
                // Which targets are active was said of other targets.
                self.active_frame = number;
            }
        }
        if is_newer {
            self.structure_frame = number;
            if number.wrapping_sub(self.structure_since) >= 1 << 15 {
                // The stream has begun to count anew.
                self.structure_since = number;
            }
        }
        Ok(())
    }

    /// Forgets numbers a little above that of a key frame which is the newest: the stream has begun to count anew.
    fn begin_anew_before(&mut self, number: u16) {
        for past in [
            &mut self.structure_frame,
            &mut self.structure_since,
            &mut self.active_frame,
        ] {
            if history::is_late(number, *past) {
                *past = number;
            }
        }
    }

    /// Takes over which targets are active, or adds it to the frame.
    fn know(&mut self, frame: Frame, flags: Flags) -> Frame {
        let told = flags.has_structure || flags.has_mask;
        if told && !history::is_late(frame.number, self.active_frame) {
            self.active = frame.active;
            self.active_frame = frame.number;
        }
        for past in [
            &mut self.structure_frame,
            &mut self.structure_since,
            &mut self.active_frame,
        ] {
            *past = history::not_long_before(frame.number, *past);
        }
        Frame {
            active: if told { frame.active } else { self.active },
            revision: self.revision,
            ..frame
        }
    }
}

/// The part that every descriptor has.
struct Head {
    is_first_packet: bool,
    is_last_packet: bool,
    template: u8,
    number: u16,
}

fn read_head(bits: &mut BitReader<'_>, len: usize) -> Option<(Head, Flags)> {
    let head = Head {
        is_first_packet: bits.flag()?,
        is_last_packet: bits.flag()?,
        template: bits.number(6)? as u8,
        number: bits.number(16)? as u16,
    };
    let flags = if len > SHORT {
        Flags::read(bits)?
    } else {
        Flags::default()
    };
    Some((head, flags))
}

/// Reads what follows the structure.
fn read_frame(
    bits: &mut BitReader<'_>,
    head: Head,
    flags: Flags,
    (structure, template): (&Structure, &Template),
) -> Option<Frame> {
    let targets = structure.target_count;
    let mask = bits.position();
    let active = match flags.has_mask {
        true => bits.number(u32::from(targets))?,
        false => structure.every_target(),
    };
    let after_mask = bits.position();
    let indications = match flags.has_indications {
        true => Indications::read(bits, targets)?,
        false => template.indications,
    };
    let dependencies = match flags.has_dependencies {
        true => Dependencies::read(bits)?,
        false => template.dependencies,
    };
    let mut chain_distances = template.chain_distances;
    if flags.has_chains {
        for distance in chain_distances.get_mut(..usize::from(structure.chain_count))? {
            *distance = bits.number(8)? as u8;
        }
    }
    Some(Frame {
        number: head.number,
        layers: template.layers,
        is_first_packet: head.is_first_packet,
        is_last_packet: head.is_last_packet,
        has_structure: flags.has_structure,
        indications,
        active,
        dependencies,
        chain_distances,
        revision: 0,
        layout: Layout {
            mask,
            after_mask,
            end: bits.position(),
            targets,
        },
    })
}
