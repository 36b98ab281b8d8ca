//! What a viewer wants of a video, and what they get of it: the words of the rules, the media engine and the families.

/// What a viewer wants of one video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Height at which it is shown, in pixels. `None` if that is not known: then the highest is wanted. 0 if it is not shown.
    pub height: Option<u16>,
    /// Whether it is one of those that the viewer looks at.
    pub on_stage: bool,
}

/// What a viewer gets of one video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    pub state: State,
    /// Height of the pictures that are sent, as far as it is known. `None` also where nothing is sent.
    pub height: Option<u16>,
    /// Height that is wanted: [`Want::height`].
    pub wanted: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As much as is wanted.
    Full,
    /// Less than is wanted.
    Reduced(Cause),
    /// Nothing.
    Paused(Cause),
    /// The viewer wants none of it.
    Unwanted,
}

/// The reason why a viewer gets less than they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The path to the viewer carries no more.
    Bandwidth,
    /// No more is sent by whoever publishes it.
    Sender,
}
