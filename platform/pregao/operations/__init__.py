"""Running the product on one machine: its servers' life cycle, the demo, the doctor."""
