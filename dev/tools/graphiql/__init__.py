"""GraphiQL for the gateway, built from npm packages: `python -m dev.tools.graphiql`.

`page/` is the page, with the versions and hashes of its packages. `build` bundles them into the folder that the gateway
serves, which is not in Git.
"""
