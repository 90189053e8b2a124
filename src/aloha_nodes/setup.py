"""Install what every node stands on; it has no program of its own."""

from setuptools import find_packages, setup

NAME = "aloha_nodes"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    python_requires=">=3.10",
    zip_safe=False,
    maintainer="cosmos_policy maintainers",
    maintainer_email="maintainers@cosmos-policy.invalid",
    description="What every node of the suite stands on.",
    license="Apache-2.0",
)
