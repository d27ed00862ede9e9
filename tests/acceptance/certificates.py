"""Certificates for a test: an authority of its own, and what it signs."""

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs what servers show; clients trust the file."""

    def __init__(self, file):
        # By its own name, or clients would try one for another.
        self.file, self.name = file, name(f"marketlake tests, {file.stem}")
        self.key = ec.generate_private_key(ec.SECP256R1())
        own = self.begin(self.name, self.key).add_extension(x509.BasicConstraints(True, None), True)
        file.write_bytes(own.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def begin(self, subject, key):
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder().issuer_name(self.name).subject_name(subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        )

    def sign(self, cert_file, key_file):
        """Writes a certificate for this machine and its key, which nobody else may read."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        signed = self.begin(name("localhost"), key).add_extension(names, False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
        )
        key_file.touch(mode=0o600)
        key_file.write_bytes(private)
        signed = signed.sign(self.key, hashes.SHA256())
        cert_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
