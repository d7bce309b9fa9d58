"""The `podrelay` command. Each subcommand is a separate module, imported only when it is used."""
