"""Quality of service of the topics of planning; that of sensors, commands and states is in :mod:`aloha_nodes.qos`."""

from __future__ import annotations

from aloha_nodes.qos import REPORTS

# Plans that nobody wants any more, by id. Each must arrive, and soon.
CANCEL_TOPIC = "/cancel_plan"
CANCELLATIONS = REPORTS
