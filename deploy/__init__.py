"""Builds, starts and watches Pingxi: on this machine (`local`), in containers, on Kubernetes."""
