"""Parameters of `arm_driver_node`: the fields of ArmSettings under the same names."""

from __future__ import annotations

from aloha_hardware.arm_settings import RANGES, ArmSettings
from aloha_hardware.declared import declared
from aloha_hardware.managed_node import ManagedNode

DESCRIPTIONS = {
    "arm": "name of the arm; topics left empty follow it",
    "backend": "dynamixel (this driver owns the bus) or interbotix (the vendor's xs_sdk owns it)",
    "port": "serial port; empty: /dev/ttyDXL_<arm>",
    "baud": "rate of the bus [baud]",
    "kind": "chain of motors: follower or leader",
    "models": "ID=MODEL where the kit carries another motor",
    "adapter_serial": "serial number of this arm's USB adapter; empty: not checked",
    "state_topic": "empty: /<arm>/joint_states",
    "command_topic": "empty: /<arm>/joint_commands",
    "partners": "names of the arms whose faults stop this one too",
    "joint_names": "in vendor order, the gripper last",
    "lower": "position limits [rad]; the gripper's is its closed motor angle",
    "upper": "position limits [rad]; the gripper's is its open motor angle",
    "velocity": "largest speed a command may cause [rad/s]",
    "start_pose": "in which the arm waits [rad], the gripper 0 closed .. 1 open",
    "sleep_pose": "in which the arm lies [rad], the gripper 0 closed .. 1 open; torque may be switched off in it",
    "move_speed": "of the slow moves to a pose, at their fastest [rad/s]",
    "gripper_horn_radius": "of the gripper's linkage [m]",
    "gripper_arm_length": "of the gripper's linkage [m]",
    "gripper_current": "what the gripper squeezes with at most [A]",
    "position_p_gain": "of the motors' position control, register value [1/128]",
    "position_i_gain": "of the motors' position control, register value [1/65536]",
    "position_d_gain": "of the motors' position control, register value [1/16]",
    "rate": "of joint states and motor commands [Hz]",
    "realtime_priority": "SCHED_FIFO priority of the thread that owns the bus; 0: none",
    "torque": "hold the arm; false for a leader that a hand moves",
    "command_timeout": "age of the newest command beyond which the arm holds [s]",
    "bus_timeout": "time without a complete read beyond which the bus is silent [s]",
    "bus_patience": "time a status packet may take beyond its time on the wire [s]",
    "watchdog": "silence after which the motors stop by themselves [s]; 0: never",
    "start_timeout": "wait for the port to appear at configure [s]",
    "start_distance": "farthest first command after a hold [rad]",
    "clamp_tolerance": "how far beyond a limit a command is cut to it; farther is refused [rad]",
    "read_mode": "auto, fast (fast sync read) or plain",
    "write_settings": "correct motor settings that differ; otherwise refuse",
    "reboot_faulty_motors": "restart motors that have shut down, at configure; otherwise refuse",
    "effort_unit": "of joint_states.effort: newton_metre (nominal), or milliampere as the vendor's driver",
    "temperature_warning": "of a motor, from which on it is reported [°C]",
}


def declare_settings(node: ManagedNode) -> ArmSettings:
    """Declare every parameter and return the settings.

    Raises:
        ParameterError: a value is of another type or out of its range.
        SettingsError: the values are unsafe.
    """
    return ArmSettings(**declared(node, ArmSettings, DESCRIPTIONS, RANGES))
