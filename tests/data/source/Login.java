package shop;

import java.sql.Connection;
import java.sql.SQLException;

public class Login {
    private static final String KEY = "aes/ecb";

    private final Connection db;

    public Login(Connection db) {
        this.db = db;
    }

    @Override
    public String toString() {
        return "login";
    }

    boolean check(String user, String password) throws SQLException {
        String query = "select id from users where name = '" + user + "'";
        try {
            return db.createStatement().executeQuery(query).next();
        } catch (SQLException e) {
            return false;
        }
    }
}
