"""The `podrelay` command. Each subcommand is a module of its own, imported only when it is used."""
