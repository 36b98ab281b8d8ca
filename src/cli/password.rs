//! How a password or a PIN comes to a command.

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
            None => asked("Password"),
        }
    }
}

/// The secret that whoever typed the command is asked for by this name, or a line from standard input.
pub(super) fn asked(name: &str) -> Result<String, CommandError> {
    if stdin().is_terminal() {
        let password = rpassword::prompt_password(format!("{name}: "))?;
        if rpassword::prompt_password("Again: ")? != password {
            return Err("the two are not the same; nothing was changed".into());
        }
        return Ok(password);
    }
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
