"""The API that players, developers and pages speak to. Stateless: any replica answers any request."""
