"""The services of Pingxi; each is started by `python -m services.<name>`."""
