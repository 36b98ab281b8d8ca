//! Pages with forms: fill in, send, press, read, and go by keyboard.

use super::page::Page;
use super::room::SIGNAL_PATIENCE;

/// The keys Tab and Enter (W3C WebDriver §17.4.2).
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";

/// Presses of Tab that lead from one place of the page to any other.
const TABS_MAX: usize = 40;

impl Page {
    pub async fn fill(&self, id: &str, value: &str) {
        let fill = format!("document.getElementById({id:?}).value = {value:?}; return null;");
        self.run::<()>(&fill, &[]).await;
    }

    pub async fn submit(&self, form: &str) {
        let submit = format!("document.getElementById({form:?}).requestSubmit(); return null;");
        self.run::<()>(&submit, &[]).await;
    }

    pub async fn click(&self, selector: &str) {
        let click = format!("document.querySelector({selector:?}).click(); return null;");
        self.run::<()>(&click, &[]).await;
    }

    pub async fn shows(&self, id: &str, words: &str) {
        let found = format!("document.getElementById({id:?}).textContent.includes({words:?})");
        self.until(words, SIGNAL_PATIENCE, &found).await;
    }

    /// Goes on with Tab until this has the focus.
    pub async fn tab_to(&self, selector: &str) {
        let is_there = format!("document.activeElement.matches({selector:?})");
        for _ in 0..TABS_MAX {
            if self.eval(&is_there).await {
                return;
            }
            self.keys(TAB).await;
        }
        panic!("Tab does not lead to {selector}\n{}", self.evidence().await);
    }

    pub async fn has_no_errors(&self) {
        let errors: Vec<String> = self.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new());
    }
}
