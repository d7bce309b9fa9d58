"""A program of a pod that queries the gateway repeatedly, like the code of a backend, and prints each answer as a line.

Its argument is the address. It trusts the certificate in /config/ca.crt; its token is that of its pod's service
account.
"""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DOCUMENT = "{ backgroundTasks { listDefinitions { data { id } error { message } } } }"


def ask(url: str, trusting: ssl.SSLContext) -> str:
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {(ACCOUNT / 'token').read_text(encoding='utf-8')}",
        "X-Podrelay-Namespace": (ACCOUNT / "namespace").read_text(encoding="utf-8"),
    }
    body = json.dumps({"query": DOCUMENT}).encode()
    # A new connection each time, to any replica that the Service chooses.
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10, context=trusting) as answer:
        definitions = json.load(answer)["data"]["backgroundTasks"]["listDefinitions"]
    return f"answer {definitions['data']} {definitions['error']}"


def main() -> None:
    trusting = ssl.create_default_context(cafile="/config/ca.crt")
    while True:
        try:
            print(ask(sys.argv[1], trusting), flush=True)
        except (OSError, ValueError) as error:
            print(f"no answer: {error!r}", flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
