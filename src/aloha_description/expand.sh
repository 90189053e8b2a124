#!/usr/bin/env bash
# Expand the xacro sources into the shipped URDF files. Needs xacro: with ROS 2, or `pip install xacro`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
xacro urdf/aloha.urdf.xacro -o urdf/aloha.urdf
for model in vx300s wx250s; do
    xacro urdf/single_arm.urdf.xacro model:="$model" -o "urdf/$model.urdf"
done
