//! Secrets taken out of what is shown: services quote keys and signed URLs in their answers.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use url::form_urlencoded::byte_serialize;

/// Key sets that are remembered: the one in use, and those of requests still under way when it
/// was rotated.
const SETS_MAX: usize = 4;

/// A part of a secret is looked for on its own from this length on; shorter ones would hit words.
const PART_BYTES_MIN: usize = 16;

/// A secret shorter than this is none, and taking it out would garble every text.
const SECRET_BYTES_MIN: usize = 4;

/// The secrets a store works with, to keep them out of errors.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<VecDeque<Vec<String>>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Remembers a new set of secrets.
    pub(crate) fn learn(&self, secrets: impl IntoIterator<Item = String>) {
        let mut forms: Vec<String> =
            secrets.into_iter().flat_map(|secret| forms(&secret)).collect();
        // Longest first: a part must not be taken out of a whole that would then be missed.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.front() != Some(&forms) {
            sets.push_front(forms);
            sets.truncate(SETS_MAX);
        }
    }

    /// Returns the text without any secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        for form in sets.iter().flatten() {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), "(redacted)");
            }
        }
        text
    }
}

/// Returns the ways a secret may appear: whole, percent-encoded, and each long part of a SAS token
/// or of a key file.
fn forms(secret: &str) -> Vec<String> {
    let secret = secret.trim();
    // A key file is JSON, in which a line break is written out.
    let broken = secret.replace("\\n", "\n");
    let parts = broken
        .split(['"', '&', '=', '?', ',', '\n', ' '])
        .filter(|part| PART_BYTES_MIN <= part.len());
    let mut forms = Vec::new();
    for form in std::iter::once(secret).filter(|whole| SECRET_BYTES_MIN <= whole.len()).chain(parts)
    {
        forms.push(form.to_owned());
        forms.push(byte_serialize(form.as_bytes()).collect());
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secrets = Secrets::default();
        let sas = "sv=2024&sig=Abc%2Fdef0123456789ghi%3D";
        let key = r#"{"private_key": "-----BEGIN-----\nMIIEvQIBADANBgkqhkiG\n"}"#;
        secrets.learn(["s3cr/t+key==".to_owned(), sas.to_owned(), key.to_owned()]);
        for text in [
            "key s3cr/t+key== refused",
            "url ?k=s3cr%2Ft%2Bkey%3D%3D",
            "url ?sv=2024&sig=Abc%2Fdef0123456789ghi%3D&x",
            "line MIIEvQIBADANBgkqhkiG of it",
        ] {
            let shown = secrets.redact(text);
            let is_clean = ["s3cr", "Abc%2Fdef", "MIIEvQ"].iter().all(|part| !shown.contains(part));
            assert!(is_clean && shown.contains("(redacted)"), "{shown}");
        }
        assert_eq!(secrets.redact("nothing here"), "nothing here");
    }

    #[test]
    fn an_old_key_stays_out_for_a_while_after_its_rotation() {
        let secrets = Secrets::default();
        secrets.learn(["first-key".to_owned()]);
        secrets.learn(["other-key".to_owned()]);
        secrets.learn(["other-key".to_owned()]);
        assert_eq!(secrets.redact("first-key other-key"), "(redacted) (redacted)");
    }
}
