//! The configuration, typed.

/// Everything that can be configured; `config/patchbay.toml` is the manual.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub groupcall: Groupcall,
}

/// Wire variants of `/groupcall`.
#[derive(Clone, Debug)]
pub struct Groupcall {
    /// `existingParticipants` of the `id` dialect carries objects even for a joiner without `personName`.
    pub participants_as_objects: bool,
    /// The `type`s under which a chat text is sent, each once.
    pub text_message_types: Vec<String>,
}

impl Default for Groupcall {
    fn default() -> Self {
        Self {
            participants_as_objects: false,
            text_message_types: vec!["reciveTextMessage".to_owned()],
        }
    }
}
