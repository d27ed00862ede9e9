//! The PostgreSQL port's passwords: from a secret scope, from the settings as a verifier, or made up
//! once and kept as one.

use secrets::{Secret, SecretRef};
use serve::postgres::{Role, Users, Verifier};

use super::{ResultExt, Workbench};
use crate::{
    config::{Proof, RoleConfig},
    failure::Failure,
};

/// 32 letters and digits that nobody mistakes for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 20 characters of 5 bits: 100 bits, beyond any guessing.
const PASSWORD_CHARACTERS: usize = 20;

/// Who may log in, and the password if it was made up just now and nobody knows it yet.
pub(crate) struct Login {
    pub(crate) users: Users,
    pub(crate) new_password: Option<Secret>,
}

/// Returns a random password; the generator is the operating system's, stretched by ChaCha.
pub(crate) fn random_password() -> Secret {
    let bytes: [u8; PASSWORD_CHARACTERS] = rand::random();
    Secret::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect())
}

/// Settles the password of the configured user. With `is_renewed` a new one is made at every
/// start, which lets the demo print a command that works each time.
pub(crate) async fn ensure_password(bench: &Workbench, is_renewed: bool) -> Result<Login, Failure> {
    let user = &bench.config.postgres.user;
    let mut users = Users::new();
    for (name, role) in &bench.config.postgres.roles {
        let RoleConfig { proof, grants, limits } = role.clone();
        let verifier = match proof {
            Proof::Verifier(verifier) => verifier,
            Proof::Password(reference) => {
                let setting = format!("postgres.roles.{name}.password");
                verifier(&resolve(bench, &reference, &setting).await?)
            }
        };
        users.insert_role(name, Role { verifier, grants, limits });
    }
    if let Some(reference) = &bench.config.postgres.password {
        let secret = resolve(bench, reference, "postgres.password").await?;
        users.insert(user, verifier(&secret));
        return Ok(Login { users, new_password: None });
    }
    let password = random_password();
    bench.redactor.register(&password);
    let fresh = verifier(&password);
    if is_renewed {
        users.insert(user, fresh);
        return Ok(Login { users, new_password: Some(password) });
    }
    let path = bench.verifier_path();
    // Two processes may start at once: whoever creates the file first made up the password.
    let kept = bench.data.create_or_read(&path, &format!("{fresh}\n"))?;
    let kept = Verifier::parse(kept.trim()).or_fail().map_err(|failure| {
        failure.context(format!("reading `{}`; delete it to get a new password", path.display()))
    })?;
    let is_ours = kept == fresh;
    users.insert(user, kept);
    Ok(Login { users, new_password: is_ours.then_some(password) })
}

async fn resolve(
    bench: &Workbench,
    reference: &SecretRef,
    setting: &str,
) -> Result<Secret, Failure> {
    let resolved = bench.scopes.resolve(reference).await;
    resolved.map_err(|error| Failure::from(error).context(format!("resolving `{setting}`")))
}

pub(crate) fn verifier(password: &Secret) -> Verifier {
    let salt: [u8; 16] = rand::random();
    Verifier::from_password(password.expose(), &salt)
}
