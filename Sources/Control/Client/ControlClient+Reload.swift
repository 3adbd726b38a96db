extension ControlClient {
    /// `POST /v1/reload`: has the file read again; `dryRun` says what would change.
    public func reload(dryRun: Bool) throws(ControlError) -> ReloadReply {
        try read(ReloadReply.self, from: try request("POST", dryRun ? "/v1/reload?dryRun=1" : "/v1/reload"))
    }

    /// `POST /v1/upgrade`: has another process take the place of the one that runs.
    public func upgrade() throws(ControlError) -> UpgradeReply {
        try read(UpgradeReply.self, from: try request("POST", "/v1/upgrade"))
    }

    /// Where the path of the program for that stands, which only root can write.
    public var upgradeWish: String { String(socket.dropLast(".sock".utf8.count)) + ".upgrade" }
}
