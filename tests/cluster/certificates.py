"""Who may speak to whom in a cluster: one authority, a certificate and a kubeconfig for each party, made with openssl.

The authority lives for as long as the cluster and is trusted by nobody else. Names and groups are those that
Kubernetes' own roles expect, so each component may do what it may in production and no more.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

from tests.cluster.layout import Layout
from tests.cluster.sandbox import run

DAYS: Final = "30"

# Who -> the subject that tells the API server who it is. O is a group.
USERS: Final = {
    "admin": "/O=system:masters/CN=muster-test",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "kubelet": "/O=system:nodes/CN=system:node:{hostname}",
    "apiserver-to-kubelet": "/O=system:masters/CN=kube-apiserver-kubelet-client",
    "front-proxy": "/CN=front-proxy-client",
}


def make_secrets(layout: Layout) -> None:
    """Write the authority, all certificates, the key that signs service accounts, and the kubeconfigs."""
    folder = layout.secrets
    folder.mkdir(mode=0o700)
    key(folder / "ca.key")
    self_sign = ["openssl", "req", "-x509", "-new", "-sha256", "-days", DAYS, "-subj", "/CN=muster-test-ca"]
    run(*self_sign, "-key", str(folder / "ca.key"), "-out", str(folder / "ca.crt"))
    key(folder / "service-accounts.key")
    run(
        "openssl",
        "ec",
        "-in",
        str(folder / "service-accounts.key"),
        "-pubout",
        "-out",
        str(folder / "service-accounts.pub"),
    )
    names = ["DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:localhost"]
    names += ["DNS:kubernetes.default.svc.cluster.local"]
    names += [f"IP:{address}" for address in (layout.address, layout.api_service_address, "127.0.0.1")]
    certificate(folder, "apiserver", "/CN=kube-apiserver", ",".join(names))
    for user, subject in USERS.items():
        certificate(folder, user, subject.format(hostname=layout.hostname))
    for user in ("admin", "controller-manager", "scheduler", "proxy", "kubelet"):
        document = kubeconfig(layout.api_url, folder, user)
        (folder / f"{user}.kubeconfig").write_text(json.dumps(document, indent=1))


def key(path: Path) -> None:
    """A private key on the curve that is quick to make and to check."""
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))


def certificate(folder: Path, name: str, subject: str, names: str = "") -> None:
    """A key and a certificate signed by the authority: for a client, or for a server if it has `names`."""
    key(folder / f"{name}.key")
    extensions = folder / f"{name}.ext"
    usage = "serverAuth,clientAuth" if names else "clientAuth"
    extensions.write_text(f"extendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
    request = ["openssl", "req", "-new", "-sha256", "-subj", subject, "-key", str(folder / f"{name}.key")]
    run(*request, "-out", str(folder / f"{name}.csr"))
    authority = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial"]
    output = ["-days", DAYS, "-sha256", "-extfile", str(extensions), "-out", str(folder / f"{name}.crt")]
    run("openssl", "x509", "-req", "-in", str(folder / f"{name}.csr"), *authority, *output)


def kubeconfig(url: str, folder: Path, user: str) -> dict[str, Any]:
    """How `user` reaches the cluster: everything inside, so that the file can be copied anywhere."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "muster-test",
                "cluster": {"server": url, "certificate-authority-data": encoded(folder / "ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": encoded(folder / f"{user}.crt"),
                    "client-key-data": encoded(folder / f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": "muster-test", "context": {"cluster": "muster-test", "user": user}}],
        "current-context": "muster-test",
    }


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
