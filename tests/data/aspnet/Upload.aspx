<%@ Page Language="C#" %>
<script runat="server">
    void Page_Load() {
        Response.ContentType = "text/plain";
        Response.Write(Request.InputStream.Length);
    }
</script>
