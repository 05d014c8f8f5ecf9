"""Azure Custom Vision: upload a dataset to a project, then verify that nothing was lost.

`client` makes single calls to the service, `rate_limiter` decides when they are made and repeated,
and `session` joins the two for one project. `snapshot` holds what a project contains. `plan` works
out what an upload will do, `upload_run` does it step by step, and `journal` records it.
`verify` compares the project with the dataset. `upload` runs these steps in order. `projects` finds
and lists projects, and `id_tables` writes the IDs of one.
"""
