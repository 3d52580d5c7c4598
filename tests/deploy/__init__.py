"""What is delivered beside the package: the image, the chart, the alerts and the dashboard."""
