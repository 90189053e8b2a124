"""Install the nodes that own the arms, cameras and leaders of a real cell."""

from setuptools import find_packages, setup

NAME = "aloha_hardware"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/udev", ["udev/99-aloha-arms.rules"]),
    ],
    python_requires=">=3.10",
    install_requires=["dynamixel-sdk", "numpy", "pyserial"],
    zip_safe=False,
    maintainer="cosmos_policy maintainers",
    maintainer_email="maintainers@cosmos-policy.invalid",
    description="Arms, cameras and teleoperation of an ALOHA cell.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "arm_bench = aloha_hardware.arm_bench:main",
            "arms = aloha_hardware.arms:main",
            "arm_driver_node = aloha_hardware.arm_driver_node:main",
            "camera_node = aloha_hardware.camera_node:main",
            "teleop_node = aloha_hardware.teleop_node:main",
            "leaders_node = aloha_hardware.leaders_node:main",
            "dynamixel_emulator = aloha_hardware.emulator.cli:main",
        ],
        "cosmos_policy.doctor_checks": ["hardware = aloha_hardware.doctor:check"],
    },
)
