//! How a password comes to a command.

use std::io::{IsTerminal, stdin};

use clap::Args;

use super::output::CommandError;

#[derive(Args)]
pub(super) struct Given {
    /// The password; other users of this machine can see it in the list of processes. Without this flag the password
    /// is asked for, or read as a line from standard input
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,
}

impl Given {
    pub fn read(self) -> Result<String, CommandError> {
        match self.password {
            Some(password) => Ok(password),
            None => asked(),
        }
    }
}

/// The password that whoever typed the command is asked for, or a line from standard input.
fn asked() -> Result<String, CommandError> {
    if stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ")?;
        if rpassword::prompt_password("Again: ")? != password {
            return Err("the two passwords are not the same; nothing was changed".into());
        }
        return Ok(password);
    }
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
