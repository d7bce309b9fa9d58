"""GraphiQL for the gateway, made from npm packages: `python -m tools.graphiql`.

`page/` is the page, with the versions and hashes of the packages in it. `build` bundles them into the folder that the
gateway serves; that is not in Git.
"""
