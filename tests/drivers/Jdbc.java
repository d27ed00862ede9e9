// Drives the SQL port with pgjdbc, as DBeaver, Metabase and Java programs do. Arguments: address,
// user, password; the rest name what to do. Standard output is one line for each finding, its parts
// separated by tabs; what fails is thrown.
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;
import java.util.concurrent.*;

public class Jdbc {
  static void say(Object... parts) {
    System.out.println(String.join("\t", Arrays.stream(parts).map(String::valueOf).toList()));
  }

  public static void main(String[] arguments) throws Exception {
    var properties = new Properties();
    properties.setProperty("user", arguments[1]);
    properties.setProperty("password", arguments[2]);
    try (var client = DriverManager.getConnection(arguments[0], properties)) {
      switch (arguments[3]) {
        case "metadata" -> metadata(client.getMetaData());
        case "rows" -> rows(client, arguments[4]);
        case "pages" -> pages(client, arguments[4], Integer.parseInt(arguments[5]));
        case "cancel" -> cancel(client, arguments[4]);
        default -> throw new IllegalArgumentException(arguments[3]);
      }
    }
  }

  interface Question {
    ResultSet ask() throws SQLException;
  }

  // These columns of every row, after the name of the question; one that fails is said to.
  static void all(String question, Question asked, String... columns) {
    try (var rows = asked.ask()) {
      while (rows.next()) {
        var found = new ArrayList<Object>(List.of(question));
        for (var column : columns) found.add(rows.getObject(column));
        say(found.toArray());
      }
    } catch (SQLException error) {
      say("failed", question, error.getMessage().replace('\n', ' '));
    }
  }

  static void metadata(DatabaseMetaData data) throws SQLException {
    say("product", data.getDatabaseProductName(), data.getDatabaseMajorVersion());
    say("read only", data.getConnection().isReadOnly());
    all("catalog", () -> data.getCatalogs(), "TABLE_CAT");
    all("schema", () -> data.getSchemas(), "TABLE_SCHEM");
    all("kind", () -> data.getTableTypes(), "TABLE_TYPE");
    all("type", () -> data.getTypeInfo(), "TYPE_NAME", "DATA_TYPE");
    all("table", () -> data.getTables(null, "gold", "bar%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE");
    all("view", () -> data.getTables(null, "bi", "%", new String[] {"VIEW"}), "TABLE_NAME", "REMARKS");
    all("column", () -> data.getColumns(null, "gold", "bar_1m", "%"),
        "COLUMN_NAME", "TYPE_NAME", "DATA_TYPE", "COLUMN_SIZE", "DECIMAL_DIGITS", "IS_NULLABLE");
    all("primary key", () -> data.getPrimaryKeys(null, "bi", "bars_daily"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME");
    all("imported key", () -> data.getImportedKeys(null, "bi", "bars_daily"),
        "FKCOLUMN_NAME", "PKTABLE_SCHEM", "PKTABLE_NAME", "PKCOLUMN_NAME");
    all("exported key", () -> data.getExportedKeys(null, "bi", "dim_date"), "FKTABLE_NAME", "FKCOLUMN_NAME");
    all("index", () -> data.getIndexInfo(null, "bi", "bars_daily", true, false), "INDEX_NAME", "COLUMN_NAME");
    all("best row", () -> data.getBestRowIdentifier(null, "bi", "bars_daily", 0, false), "COLUMN_NAME");
    all("function", () -> data.getFunctions(null, "pg_catalog", "bar_start"), "FUNCTION_NAME", "REMARKS");
    all("procedure", () -> data.getProcedures(null, "gold", "%"), "PROCEDURE_NAME");
    all("user type", () -> data.getUDTs(null, "gold", "%", null), "TYPE_NAME");
    all("table right", () -> data.getTablePrivileges(null, "gold", "bar_1m"), "PRIVILEGE");
    all("column right", () -> data.getColumnPrivileges(null, "gold", "bar_1m", "close"), "PRIVILEGE");
    all("client info", () -> data.getClientInfoProperties(), "NAME");
    say("keywords", data.getSQLKeywords().split(",").length > 10);
    say("functions", data.getStringFunctions().contains("substring"));
  }

  static void rows(Connection client, String query) throws SQLException {
    // The second time pgjdbc reads binary, and prepares under a name from the fifth time on.
    for (int time = 0; time < 7; time++) {
      try (var statement = client.prepareStatement(query)) {
        statement.setString(1, "S000");
        statement.setBigDecimal(2, new java.math.BigDecimal("100.25"));
        statement.setObject(3, OffsetDateTime.parse("2026-03-02T14:30:00Z"));
        statement.setInt(4, 1);
        statement.setDate(5, java.sql.Date.valueOf("2026-03-02"));
        var rows = statement.executeQuery();
        var data = rows.getMetaData();
        while (rows.next()) {
          var found = new ArrayList<Object>(List.of("row"));
          for (int column = 1; column <= data.getColumnCount(); column++) {
            var value = data.getColumnTypeName(column).equals("timestamptz")
                ? rows.getObject(column, OffsetDateTime.class) : rows.getObject(column);
            found.add(data.getColumnName(column));
            found.add(data.getColumnTypeName(column));
            found.add(data.getScale(column));
            found.add(value);
          }
          say(found.toArray());
        }
      }
    }
  }

  static void pages(Connection client, String query, int size) throws SQLException {
    client.setAutoCommit(false);
    try (var statement = client.createStatement()) {
      statement.setFetchSize(size);
      var rows = statement.executeQuery(query);
      int count = 0;
      while (rows.next()) count++;
      say("rows", count);
      statement.setMaxRows(10);
      rows = statement.executeQuery(query);
      for (count = 0; rows.next(); count++) ;
      say("at most", count);
    }
    client.commit();
  }

  static void cancel(Connection client, String query) throws Exception {
    var timer = Executors.newSingleThreadScheduledExecutor();
    try (var statement = client.createStatement()) {
      // A request that overtakes the statement cancels nothing, as with PostgreSQL.
      timer.scheduleWithFixedDelay(() -> {
        try {
          statement.cancel();
        } catch (SQLException ignored) {
          // The next request says it again.
        }
      }, 500, 500, TimeUnit.MILLISECONDS);
      try {
        statement.executeQuery(query);
        say("not cancelled");
      } catch (SQLException error) {
        say("cancelled", error.getMessage());
      }
    } finally {
      timer.shutdownNow();
    }
    try (var statement = client.createStatement(); var rows = statement.executeQuery("SELECT 1")) {
      rows.next();
      say("goes on", rows.getInt(1));
    }
    try (var statement = client.createStatement()) {
      statement.setQueryTimeout(1);
      statement.executeQuery(query);
    } catch (SQLException error) {
      say("timed out", error.getMessage());
    }
  }
}
