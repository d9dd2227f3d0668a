"""A real Kubernetes for the project's tests: one node in namespaces of its own on this machine. See README.md."""
