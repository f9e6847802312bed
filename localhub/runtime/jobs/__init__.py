"""Jobs at work: commands that run once, or on a schedule.

`dispatcher` decides and records, `shift` is one Job at work, `calendar` and `cron` start Jobs by
themselves, `metrics` is what they use, `records` what is kept.
"""
