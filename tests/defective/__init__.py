"""Random datasets with one defect each.

They are written without regionbatch, so that no mistake of its readers is repeated here.
"""
