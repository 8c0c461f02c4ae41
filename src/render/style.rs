//! Colours by meaning. `anstream` takes them away where they do not belong.

use anstyle::{AnsiColor, Style};

/// What a piece of text means.
#[derive(Clone, Copy)]
pub(crate) enum Paint {
    Good,
    Bad,
    Warn,
    Faint,
    Strong,
    Create,
    Remove,
    Change,
}

impl Paint {
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Good | Self::Create => color(AnsiColor::Green),
            Self::Bad => color(AnsiColor::Red).bold(),
            Self::Remove => color(AnsiColor::Red),
            Self::Warn | Self::Change => color(AnsiColor::Yellow),
            Self::Faint => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }

    /// The text with its colour.
    pub(crate) fn paint(self, text: impl std::fmt::Display) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// Colours that tell machines apart in a common log.
pub(crate) fn machine_color(position: usize, text: &str) -> String {
    const COLORS: [AnsiColor; 6] = [
        AnsiColor::Cyan,
        AnsiColor::Yellow,
        AnsiColor::Green,
        AnsiColor::Magenta,
        AnsiColor::Blue,
        AnsiColor::BrightRed,
    ];
    let style = Style::new().fg_color(Some(COLORS[position % COLORS.len()].into()));
    format!("{style}{text}{style:#}")
}
