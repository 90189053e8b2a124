"""Package the method: for colcon, and for a plain `pip install` on a machine without ROS."""

from setuptools import find_packages, setup

NAME = "cosmos_policy_core"

DATA = ["h5py", "av", "rosbags"]
TRAINING = ["matplotlib", "scipy"]
SIM = ["gymnasium"]
LEROBOT = ["pyarrow"]
TWO_B = ["diffusers", "huggingface_hub"]
LOGS = ["tensorboard"]  # only where a training run asks for it; not part of "all"
T5 = ["transformers", "sentencepiece"]  # only `embed-instructions` needs them, once per instruction; not part of "all"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={
        NAME: [
            "py.typed",
            "embodiments/*.yaml",
            "embodiments/hardware/*.yaml",
            "checkpoints/*/*",
            "training/configs/*.yaml",
        ]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    python_requires=">=3.10",
    install_requires=[
        "einops",
        "numpy",
        "pillow",
        "pydantic>=2",
        "PyYAML",
        "rich",
        "safetensors",
        "torch>=2.6",
        "tyro",
    ],
    extras_require={
        "data": DATA,
        "training": TRAINING,
        "sim": SIM,
        "2b": TWO_B,
        "lerobot": LEROBOT,
        "t5": T5,
        "tensorboard": LOGS,
        "all": DATA + TRAINING + SIM + TWO_B,
    },
    zip_safe=False,
    maintainer="cosmos_policy maintainers",
    maintainer_email="maintainers@cosmos-policy.invalid",
    description="Robot policies, world models and values in one video-diffusion transformer, with best-of-N planning.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["cosmos-policy = cosmos_policy_core.cli:main"]},
)
