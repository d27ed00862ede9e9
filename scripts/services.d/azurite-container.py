"""Creates a container in Azurite, with a request signed as Azure Blob Storage wants it.

Usage: azurite-container.py ACCOUNT-URL CONTAINER
"""

import base64
import hashlib
import hmac
import sys
import urllib.error
import urllib.request
from email.utils import formatdate

ACCOUNT = "devstoreaccount1"
# The emulators' own key, printed in their manual.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def main():
    url, container = sys.argv[1:]
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    # The method, eleven headers that are not sent, ours, and what it is about.
    text = "PUT" + "\n" * 12
    text += "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    # An emulator's path begins with the account already.
    text += f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers["Content-Length"] = "0"
    request = urllib.request.Request(
        f"{url}/{container}?restype=container", method="PUT", headers=headers
    )
    # This machine is on no proxy's far side.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        is_there_already = error.code == 409
        if not is_there_already:
            sys.exit(f"{error.code}: {error.read().decode(errors='replace')}")


if __name__ == "__main__":
    main()
