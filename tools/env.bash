# The environment every command of this repository runs in; for your own shell: `source tools/env.bash`.
#
# With a ROS 2 that you sourced before, its packages are used. Otherwise the ROS 2 wheels in .venv are, whose
# environment folder is itself an ament prefix. Discovery stays on this machine unless you chose a wider range.

if [ -n "${ZSH_VERSION:-}" ]; then
    COSMOS_POLICY_ROOT="$(cd -- "$(dirname -- "${(%):-%x}")/.." && pwd)"
else
    COSMOS_POLICY_ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
fi
export COSMOS_POLICY_ROOT

if [ ! -e "$COSMOS_POLICY_ROOT/.venv/bin/activate" ]; then
    echo "tools/env.bash: $COSMOS_POLICY_ROOT/.venv is missing. Run 'make setup' in $COSMOS_POLICY_ROOT first." >&2
    return 1
fi

# The wheels complete LD_LIBRARY_PATH once per process tree; a tree started from another environment must do it again.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
source "$COSMOS_POLICY_ROOT/.venv/bin/activate"

if [ -d "$VIRTUAL_ENV/share/rclpy" ]; then
    export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
    case ":${AMENT_PREFIX_PATH:-}:" in
        *":$VIRTUAL_ENV:"*) ;;
        *) export AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}" ;;
    esac
    case ":${CMAKE_PREFIX_PATH:-}:" in
        *":$VIRTUAL_ENV:"*) ;;
        *) export CMAKE_PREFIX_PATH="$VIRTUAL_ENV${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}" ;;
    esac
fi

export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"

if [ -n "${ZSH_VERSION:-}" ] && [ -e "$COSMOS_POLICY_ROOT/install/local_setup.zsh" ]; then
    source "$COSMOS_POLICY_ROOT/install/local_setup.zsh"
elif [ -e "$COSMOS_POLICY_ROOT/install/local_setup.bash" ]; then
    source "$COSMOS_POLICY_ROOT/install/local_setup.bash"
fi
