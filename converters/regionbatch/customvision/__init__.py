"""Azure Custom Vision: a dataset goes up, nothing is lost on the way, and it is proved.

`client` speaks to the service, `rate` paces and repeats calls, `present` is what a project holds. `plan` says what will
be done, `images` and `regions` do it, `journal` remembers it, `verify` proves it; `upload` conducts them.
"""
