//! One error for the whole program: a sentence for whoever typed the command.

use core::fmt::{self, Display};

/// What went wrong, ready to print.
pub(crate) struct Error(String);

/// `Result` with this program's [`Error`].
pub(crate) type Result<T = ()> = core::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for core::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        // `{:#}`: an anyhow error then prints its causes too.
        self.map_err(|error| Error(format!("{doing}: {error:#}")))
    }
}
