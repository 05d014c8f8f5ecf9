"""Random datasets with a defect each, written without regionbatch, so that no mistake of its readers is repeated."""
