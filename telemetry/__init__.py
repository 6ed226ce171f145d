"""The packet door: packets come in here, by HTTP or by MQTT, and are taken in groups."""
