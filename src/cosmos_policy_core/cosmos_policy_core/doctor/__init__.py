"""What `cosmos-policy doctor` looks at, and how other packages add to it.

A package adds checks through the entry point group `cosmos_policy.doctor_checks`: a function that takes the subject (a
mapping of plain values, see :mod:`cosmos_policy_core.doctor.subject`) and yields findings as mappings with the keys of
:class:`Finding`. Nothing here imports torch or ROS before a check does.
"""

from cosmos_policy_core.doctor.findings import Finding, Level

__all__ = ["Finding", "Level"]
