"""The web pages that the gateway serves, built from npm packages: `python -m dev.pages`.

`dashboard/` and `graphiql/` are their sources, each with the versions and hashes of its packages. `build` bundles a
page into the folder that the gateway serves, which is not in Git. `check` checks the dashboard's sources.
"""
