"""The times of schedules: cron expressions, intervals, exclusions and daylight saving. Pure, without a cluster."""
