"""Only what pyproject.toml cannot say: the packages found under src, and data/ as one more."""

from setuptools import find_packages, setup

setup(packages=[*find_packages("src"), "netrollout.data"])
