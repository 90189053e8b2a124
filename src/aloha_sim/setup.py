"""Install the simulated cell: a node for the graph and gymnasium environments without ROS."""

from setuptools import find_packages, setup

NAME = "aloha_sim"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    python_requires=">=3.10",
    install_requires=["fast-simplification", "gymnasium", "mujoco", "numpy"],
    zip_safe=False,
    maintainer="cosmos_policy maintainers",
    maintainer_email="maintainers@cosmos-policy.invalid",
    description="The two-arm cell in MuJoCo, on the same topics as the hardware.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["cell_node = aloha_sim.cell_node:main"]},
)
