"""The null test: how well does the same strategy do where there is nothing to find?"""
