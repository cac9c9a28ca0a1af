"""What Prometheus is shown: made anew from the store at each scrape."""
