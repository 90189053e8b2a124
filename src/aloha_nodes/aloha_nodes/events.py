"""Topics without rclpy's default event handlers, on every distribution.

Default handlers join the wait set of every spin, and destroying one while the executor spins ends the executor
(InvalidHandle). They also warn of pairs that do not match, where both kinds are wanted.
"""

from __future__ import annotations

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
